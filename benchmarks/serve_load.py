"""How fer serve stands many clients, and how fast it is for one, on this machine.

    python benchmarks/serve_load.py photographs/ [--clients 64] [--seconds 60] [--model ferplus]

The server is a process of its own. First one client posts pictures one after the other, then one sends them as the
frames of a camera, then all clients post at once, each again as soon as it is answered, or after a second where it was
told to come again (429). Memory is the server's resident set, at the beginning and the end of the last two thirds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import httpx
import numpy as np
from websockets.asyncio.client import connect


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", default="ferplus")
    parser.add_argument("--detector", nargs="*", default=[], help="options of fer serve, such as: yunet --weights FILE")
    given, more = parser.parse_known_args()
    pictures = [path.read_bytes() for path in sorted(given.photographs.rglob("*.jpg"))[:200]]
    detector = ["--detector", *given.detector, *more] if given.detector else more
    command = [sys.executable, "-m", "fercli", "serve", given.model, "--port", "0", "--json", *detector]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = address(server)
        asyncio.run(measure(url, server.pid, pictures, given.clients, given.seconds))
    finally:
        server.terminate()
        server.wait()


def address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    text = ""
    while not text.endswith("}\n"):
        text += server.stdout.readline()
    url: str = json.loads(text)["url"]
    return url


async def measure(url: str, pid: int, pictures: list[bytes], clients: int, seconds: float) -> None:
    async with httpx.AsyncClient(timeout=60) as one:
        for picture in pictures[:10]:  # warm up
            await one.post(f"{url}v1/predict", content=picture)
        times = []
        for picture in pictures:
            started = perf_counter()
            (await one.post(f"{url}v1/predict", content=picture)).raise_for_status()
            times.append(perf_counter() - started)
    print(
        f"one client: {1 / np.mean(times):.1f} pictures/s, median {1000 * np.median(times):.1f} ms, {quantile(times)}"
    )
    await camera(url, pictures)
    await crowd(url, pid, pictures, clients, seconds)


async def camera(url: str, pictures: list[bytes]) -> None:
    """Send frames with two on their way, as the page does."""
    async with connect(f"{url.replace('http', 'ws')}v1/live") as live:
        started, sent = perf_counter(), []
        times = []
        for number, picture in enumerate(pictures):
            if number >= 2:
                await live.recv()
                times.append(perf_counter() - sent[number - 2])
            sent.append(perf_counter())
            await live.send(np.float64(perf_counter() - started).tobytes() + picture)
        took = perf_counter() - started
    print(
        f"camera: {len(times) / took:.1f} frames/s, answered after {1000 * np.median(times):.0f} ms, {quantile(times)}"
    )


async def crowd(url: str, pid: int, pictures: list[bytes], clients: int, seconds: float) -> None:
    codes: Counter[str] = Counter()
    times: list[float] = []
    memory: list[float] = []
    end = perf_counter() + seconds

    async def client(number: int) -> None:
        async with httpx.AsyncClient(timeout=60) as own:
            turn = number
            while perf_counter() < end:
                turn += 1
                started = perf_counter()
                try:
                    answer = await own.post(f"{url}v1/predict", content=pictures[turn % len(pictures)])
                except httpx.HTTPError as error:
                    codes[type(error).__name__] += 1
                    continue
                codes[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    times.append(perf_counter() - started)
                elif answer.status_code == 429:
                    await asyncio.sleep(float(answer.headers["retry-after"]))

    async def watch() -> None:
        while perf_counter() < end:
            memory.append(resident(pid))
            await asyncio.sleep(0.5)

    await asyncio.gather(watch(), *(client(number) for number in range(clients)))
    third = len(memory) // 3
    print(
        f"{clients} clients, {seconds:.0f} s: {dict(codes)}, {len(times) / seconds:.1f} pictures/s, median "
        f"{1000 * np.median(times):.0f} ms, {quantile(times)}; memory {memory[third]:.0f} MB after a third, "
        f"{memory[-1]:.0f} MB at the end, {max(memory):.0f} MB at most"
    )


def quantile(times: list[float]) -> str:
    return f"99 % within {1000 * np.quantile(times, 0.99):.0f} ms"


def resident(pid: int) -> float:
    """Return a process's resident memory, MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
