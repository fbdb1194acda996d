"""What a notebook shows and binds: the badge, links between widgets and models."""
