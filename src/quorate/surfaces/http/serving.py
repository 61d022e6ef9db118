"""How the origin is put on a socket: uvicorn, told to add nothing of its own."""

import uvicorn

from quorate.surfaces.http.origin import Origin

LONGEST_HEADER_BYTES = 32_768  # of request line and headers together
KEEP_ALIVE_S = 75


def config(origin: Origin, *, host: str, port: int, drain_s: int) -> uvicorn.Config:
    """Make the server's configuration.

    Proxy headers are left to `Peers`, logs to our own set-up, start and stop to `wiring`.
    `drain_s` is how long a stopping server waits for calls in flight.
    """
    return uvicorn.Config(
        origin,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
        h11_max_incomplete_event_size=LONGEST_HEADER_BYTES,
    )
