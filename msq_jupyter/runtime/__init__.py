"""The pure core on the participant's side: models, virtual time, events, snapshots, code identity. No I/O."""
