"""A steady load that does not wait for answers: each request has its moment, whoever is late."""

from __future__ import annotations

import http.client
import threading
import time

CONNECTIONS = 16


def latencies(port: int, path: str, *, rate: float, seconds: float) -> list[float]:
    """Seconds from the moment at which each request was due until its answer was there.

    `rate` requests a second go to 127.0.0.1, over connections that stay. Raises RuntimeError if an
    answer is not 200.
    """
    found: list[float] = []
    wrong: list[int] = []
    began = time.perf_counter() + 0.05

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        for number in range(first, int(rate * seconds), CONNECTIONS):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            found.append(time.perf_counter() - due)
            if answer.status != 200:
                wrong.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(found)} answers were not 200, e.g. {wrong[0]}")
    return found
