"""What all surfaces share: from the socket to a handler that holds values, and back.

`Origin` sends a call to the `Surface` with the longest prefix. The surface finds the `Route`, signs the
caller in, holds them to the route's permission and runs the handler, which reads with `body` and `query`,
calls a use case and answers with `answer`. Whatever is raised on the way is said in the surface's words.
"""
