"""Videos through PyAV: exact times, the container's rotation, H.264 if the build includes it, and audio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fercli.errors import FerError, ImageError
from fercli.images import Pixels
from fercli.videos.base import TimedFrame, check_size, open_regular

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
"""Containers that store a time for each frame, by file extension."""
ENCODERS = {
    # No B-frames, so that packets are in the order of their times, whatever the intervals.
    "libx264": {"preset": "veryfast", "crf": "20", "bf": "0"},
    "libopenh264": {"b": "8000000"},
    "mpeg4": {"qscale": "3", "bf": "0"},
}
"""Encoders in order of preference, with their options; all builds include the last one."""
TICKS = 60_000
"""Time units per second, divisible by 24, 25, 30, 29.97, 50, 59.94 and 60 frames per second; mpeg4 allows 65,535."""

_OPEN_OPTIONS = {"protocol_whitelist": "none"}  # a container may refer to other files and URLs: never open them
_FAILURES = (av.FFmpegError, OSError, ValueError, LookupError, RuntimeError, TypeError)


class PyAVReader:
    """Reads a video file."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._container, self._file = _open(path)
        try:
            stream = self._container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.codec_context is None:
                raise ImageError(
                    "not a video", f"{name}: cannot be read as a video (no video stream, or an unknown codec)"
                )
            self._stream = stream
            check_size(name, stream.codec_context.width, stream.codec_context.height)
        except ImageError:
            self.close()
            raise
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.rate = rate if 0 < rate < 1000 else 0.0
        self._start = stream.start_time or 0
        duration = _seconds(stream.duration, stream.time_base) or (self._container.duration or 0) / av.time_base
        # For truncated files, some containers report the remaining duration but the original number of frames.
        self.duration = max(duration, stream.frames / self.rate if self.rate else 0.0, 0.0)
        # If the container does not count frames, estimate their number, as OpenCV does.
        self.expected = stream.frames or round(self.duration * self.rate)

    def frames(self) -> Iterator[TimedFrame]:
        """Yield every frame that can be decoded, skipping damaged ones."""
        try:
            for packet in self._container.demux(self._stream):
                with suppress(av.error.InvalidDataError):
                    for frame in packet.decode():
                        check_size(self._name, frame.width, frame.height)
                        yield self._time(frame), partial(self._pixels, frame)
        except ImageError:
            raise
        except _FAILURES:
            return  # `Video.cut_off` reports the truncation

    def _time(self, frame: VideoFrame) -> float | None:
        time = frame.pts if frame.pts is not None else frame.dts
        base = frame.time_base or self._stream.time_base
        return None if time is None or base is None else float((time - self._start) * base)

    def _pixels(self, frame: VideoFrame) -> Pixels:
        """Return RGB with the same interpolation as OpenCV, so that both give the same pixels."""
        try:
            pixels = frame.reformat(format="rgb24", interpolation="BICUBIC").to_ndarray()
        except _FAILURES as error:
            raise ImageError("unreadable", f"{self._name}: a frame cannot be decoded ({error})") from error
        return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90), np.uint8)

    def seek(self, number: int) -> Pixels | None:
        """Seek to the key frame before a frame, by time, and decode up to the frame."""
        base = self._stream.time_base
        if not self.rate or base is None:
            return None
        target = number / self.rate
        try:
            self._container.seek(self._start + int(target / base), stream=self._stream)
        except _FAILURES:
            return None
        for seconds, pixels in self.frames():
            if seconds is None or seconds + 0.5 / self.rate >= target:
                return pixels()
        return None

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()


def _open(path: Path) -> tuple[InputContainer, BinaryIO]:
    """Open a file by its contents only, so that its name is never taken for a URL or a pattern."""
    file = open_regular(path)
    try:
        return av.open(file, "r", options=_OPEN_OPTIONS, metadata_errors="replace"), file
    except _FAILURES as error:
        file.close()
        raise ImageError(
            "not a video", f"{path}: cannot be read as a video (truncated, not a video, or an unknown format)"
        ) from error


def _seconds(value: int | None, base: Fraction | None) -> float:
    return float(value * base) if value and base else 0.0


class PyAVWriter:
    """Writes a video whose frames keep their times, with the index at its start so that browsers can stream it.

    Args:
        path: The file, with a file extension in `FORMATS`.
        rate: Frames per second, if constant.
        size: Width and height of the frames, even numbers.
        audio: A video whose audio is copied; None: no audio.

    Attributes:
        note: Why the audio is not copied; empty if it is.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int], audio: Path | None = None) -> None:
        self.note = ""
        self._file: BinaryIO = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666), "r+b")  # noqa: SIM115
        self._output: OutputContainer = av.open(
            self._file,
            "w",
            format=FORMATS[path.suffix.lower()],
            options={"movflags": "faststart"},
            # Moving the index to the start reads the written file again.
            io_open=lambda *_: open(path, "rb"),  # noqa: SIM115
        )
        try:
            self._stream = self._encoder(rate, size)
            self._audio = None if audio is None else _AudioCopier.of(audio, self._output)
        except BaseException:
            self._abandon()
            raise
        if self._audio is not None:
            self.note = self._audio.note
        self._last, self._duration = -1, 1

    def _encoder(self, rate: float, size: tuple[int, int]) -> VideoStream:
        for name, options in ENCODERS.items():
            if name not in av.codecs_available:
                continue
            stream = cast(VideoStream, self._output.add_stream(name, rate=Fraction(rate).limit_denominator(1001)))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.options = options
            stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
            return stream
        raise FerError("this build of PyAV has no video encoder")

    def write(self, frame: Pixels, seconds: float, duration: float) -> None:
        """Append a frame. Times that do not increase are moved after the previous one."""
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._last = picture.pts = max(self._last + 1, round(seconds * TICKS))
        picture.time_base = Fraction(1, TICKS)
        self._duration = max(1, round(duration * TICKS))
        self._mux(self._stream.encode(picture), self._duration)
        if self._audio is not None:
            self._audio.copy(seconds + duration)

    def _mux(self, packets: list[Packet[VideoStream]], duration: int) -> None:
        for packet in packets:
            packet.duration = duration  # that of the last packet determines the end of the video
            self._output.mux(packet)

    def close(self) -> None:
        """Flush the encoder and write the index."""
        try:
            self._mux(self._stream.encode(None), self._duration)
            self._output.close()
        except BaseException:
            self._abandon()
            raise
        self._finish()

    def _abandon(self) -> None:
        with suppress(*_FAILURES):
            self._output.close()
        self._finish()

    def _finish(self) -> None:
        if getattr(self, "_audio", None) is not None:
            cast(_AudioCopier, self._audio).close()
        self._file.close()


def has_audio(path: Path) -> bool:
    """Return whether a video has audio."""
    source, file = _open(path)
    try:
        return isinstance(source.streams.best("audio"), AudioStream)
    finally:
        source.close()
        file.close()


class _AudioCopier:
    """Copies the audio of a video, packet by packet."""

    def __init__(self, source: InputContainer, file: BinaryIO, output: OutputContainer) -> None:
        self._source, self._file, self._output, self.note = source, file, output, ""
        self._target: AudioStream | None = None
        audio, video = source.streams.best("audio"), source.streams.best("video")
        if not isinstance(audio, AudioStream):
            return
        name = audio.codec_context.name
        if name not in output.supported_codecs:
            self.note = f"its audio ({name}) is not supported by this container and is left out"
            return
        self._start = _seconds(video.start_time, video.time_base) if video else 0.0
        self._packets = source.demux(audio)
        self._target = output.add_stream_from_template(audio)

    @classmethod
    def of(cls, path: Path, output: OutputContainer) -> _AudioCopier:
        """Open the audio of a video."""
        source, file = _open(path)
        try:
            return cls(source, file, output)
        except BaseException:
            source.close()
            file.close()
            raise

    def copy(self, until: float) -> None:
        """Copy the audio up to a time in seconds from the first frame."""
        while self._target is not None:
            packet: Any = None
            with suppress(*_FAILURES):
                packet = next(self._packets, None)
            if packet is None or packet.dts is None or packet.time_base is None:
                self._target = None  # end of the audio
                return
            shift = round(self._start / packet.time_base)
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            if packet.pts + (packet.duration or 0) <= 0:
                continue
            packet.stream = self._target
            ends = float(packet.pts * packet.time_base)
            self._output.mux(packet)
            if ends >= until:
                return

    def close(self) -> None:
        """Close the source."""
        self._source.close()
        self._file.close()
