"""The API described for programs and for people: the OpenAPI document, and a page to browse it."""
