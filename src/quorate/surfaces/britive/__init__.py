"""The approvals of Britive, as its pages and its Python SDK know them."""
