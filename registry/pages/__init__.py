"""Pages and charts: Jinja2 templates, and SVG drawn from figures."""
