"""The exit codes of the command line."""

OK = 0
FAILED = 1  # a check found errors, or a run did not get to its end
BAD_SPEC = 2  # or a wrong command line
NOT_PROVEN = 3  # the gradient differs from its reference
INTERNAL = 70
INTERRUPTED = 130
