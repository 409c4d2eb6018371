"""The handlers, by what they are about, and the table of all of them."""
