"""What happens in IPython: capture of class sources, and the life of cells."""
