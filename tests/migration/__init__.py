"""The schema, up and down."""
