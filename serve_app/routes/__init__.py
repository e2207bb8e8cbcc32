"""The calls, one file per area. Each file ends in an explicit table; `serve_app.app` puts them together."""
