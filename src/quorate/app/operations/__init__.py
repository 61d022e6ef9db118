"""Operations: calls that wait for approval. What may be asked, what is kept from being done at once, and its doing.

`own` lists our own, `rules` finds what governs a call, `asking` files it, `mandate` lets an approved one through,
`executing` carries it out, `use` holds the use cases.
"""
