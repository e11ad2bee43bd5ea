"""Pictures of wirings, for PNG, SVG and PDF."""
