"""The intermediate representation: a flat graph of values, its operations, order, validation and printed form."""
