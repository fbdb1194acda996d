"""`msq versions`, `show`, `diff`, `restore` and the others: the saved versions of a name, from the outside."""
