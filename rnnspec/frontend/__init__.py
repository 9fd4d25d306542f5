"""The front end: from the text of a spec to the typed tree, with every mistake of the user found on the way."""
