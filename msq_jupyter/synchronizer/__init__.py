"""The server that orders and time-stamps events, and keeps sealed logs, snapshots and versions."""
