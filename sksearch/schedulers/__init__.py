"""Schedulers say which trial runs next, and with how much resource."""
