"""The application: the page, and the JSON API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from markdown_it import MarkdownIt
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fercli._version import __version__
from fercli.errors import FerError, ImageError, UsageError, did_you_mean
from fercli.images import decode, encode_png
from fercli.serving.config import ServeConfig
from fercli.serving.engine import Faces, ServedModel, View
from fercli.serving.live import BUSY, REASON, Live
from fercli.serving.schemas import Health, Limits, Models, Prediction, Problem, info_of, prediction_of
from fercli.serving.uploads import REQUEST_BODY, read_picture
from fercli.serving.work import NoPlaceError, Places, Workers

R = TypeVar("R")
PAGE = files("fercli.serving") / "page"
INDEX = "index.html"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
ModelName = Annotated[str | None, Query(description="Name of the model; by default the first of /v1/models.")]
WhichFaces = Annotated[Faces, Query(description="all, the largest, or crop: the picture is one face.")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Not a picture"},
    413: {"model": Problem, "description": "Too large"},
    422: {"model": Problem, "description": "A parameter is invalid"},
    429: {"model": Problem, "description": "Too many requests at the same time; come again"},
}


class Service:
    """What the routes share: the models by name, threads, and places for requests and cameras."""

    def __init__(self, models: Mapping[str, ServedModel], cards: Mapping[str, str], config: ServeConfig) -> None:
        self.models, self.cards, self.config = dict(models), dict(cards), config
        self.workers = Workers(config.workers)
        self.requests, self.cameras = Places(config.max_requests), Places(config.max_cameras)
        self.max_bytes = int(config.max_megabytes * 1e6)
        self.max_pixels = int(config.max_megapixels * 1e6)

    def choose(self, name: str | None) -> tuple[str, ServedModel]:
        """Return a model and its name; None: the default.

        Raises:
            UsageError: there is none of this name.
        """
        name = next(iter(self.models)) if name is None else name
        if name not in self.models:
            raise UsageError(did_you_mean("model", name, list(self.models)))
        return name, self.models[name]

    async def picture(self, request: Request, compute: Callable[[Any], R]) -> R:
        """Return what `compute` makes, in a thread, of the pixels of a request's picture."""
        with self.requests.take():
            data = await read_picture(request)
            return await self.workers.run(lambda: compute(decode(data, "the picture", self.max_pixels)))


def create_app(models: Mapping[str, ServedModel], cards: Mapping[str, str], config: ServeConfig) -> FastAPI:
    """Return the application, without `guard.Guard` before it.

    Args:
        models: The models by name, the default first.
        cards: Their cards, in Markdown, by the same names.
        config: Limits.
    """
    service = Service(models, cards, config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.workers.close()

    app = FastAPI(
        title="fercli",
        version=__version__,
        summary="Emotions of the faces in pictures.",
        docs_url=None,  # these load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_errors(app)
    _add_api(app, service)
    _add_live(app, service)
    _add_page(app, service)
    return app


def _add_api(app: FastAPI, service: Service) -> None:
    limits = Limits(
        megabytes=service.config.max_megabytes,
        megapixels=service.config.max_megapixels,
        faces=service.config.max_faces,
    )
    listed = Models(models=[info_of(name, model) for name, model in service.models.items()], limits=limits)

    @app.get("/healthz")
    async def health() -> Health:
        """Answer that the server is there."""
        return Health()

    @app.get("/v1/models")
    async def models() -> Models:
        """List the models, the default first, and what the server accepts."""
        return listed

    @app.get("/v1/card", response_class=Response, responses={200: {"content": {"text/markdown": {}}}})
    async def card(model: ModelName = None) -> Response:
        """Return a model's card: its figures, how it was made, terms of the data, limits."""
        return Response(service.cards[service.choose(model)[0]], media_type="text/markdown; charset=utf-8")

    @app.post("/v1/predict", responses=PROBLEMS, openapi_extra=REQUEST_BODY)
    async def predict(
        request: Request, model: ModelName = None, faces: WhichFaces = "all", tta: View = "none"
    ) -> Prediction:
        """Recognise the emotions of the faces in a picture."""
        name, chosen = service.choose(model)
        found = await service.picture(request, partial(chosen.recognise, faces=faces, tta=tta))
        return prediction_of(found, name, chosen.emotions)

    png: dict[int | str, dict[str, Any]] = {
        200: {"content": {"image/png": {}}, "description": "The face, brighter where the evidence lies"}
    }

    @app.post("/v1/explain", response_class=Response, responses={**PROBLEMS, **png}, openapi_extra=REQUEST_BODY)
    async def explain(
        request: Request,
        face: Annotated[int, Query(ge=0, description="Number of the face, from 0, as in the answer of predict.")] = 0,
        emotion: Annotated[str | None, Query(description="By default the predicted one.")] = None,
        model: ModelName = None,
        faces: WhichFaces = "all",
    ) -> Response:
        """Show where in a face the model finds an emotion, by Grad-CAM."""
        _, chosen = service.choose(model)
        compute = partial(chosen.explain, face=face, emotion=emotion, faces=faces)
        picture = await service.picture(request, lambda pixels: encode_png(compute(pixels)))
        return Response(picture, media_type="image/png")


def _add_live(app: FastAPI, service: Service) -> None:
    @app.websocket("/v1/live")
    async def live(socket: WebSocket, model: str | None = None) -> None:
        try:
            name, chosen = service.choose(model)
            with service.cameras.take():
                await Live(
                    socket,
                    chosen.camera(),
                    name,
                    chosen.emotions,
                    service.workers,
                    max_bytes=service.max_bytes,
                    max_pixels=service.max_pixels,
                    timeout=service.config.timeout,
                ).run()
        except (UsageError, NoPlaceError) as error:
            await socket.accept()  # a browser learns the reason only of a connection that was accepted
            reason = str(error) or "too many cameras; come again later"
            await socket.close(BUSY, reason.encode()[:REASON].decode(errors="ignore"))  # it may name what was asked for


def _add_page(app: FastAPI, service: Service) -> None:
    assets = {item.name: item.read_bytes() for item in PAGE.iterdir()}
    index = PAGE.joinpath(INDEX).read_text("utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(index)

    @app.get("/card", include_in_schema=False)
    async def card(model: str | None = None) -> HTMLResponse:
        return HTMLResponse(markdown.render(service.cards[service.choose(model)[0]]))

    @app.get("/page/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in assets:
            raise HTTPException(404, f"no file {name}")
        return Response(assets[name], media_type=KINDS[name.rpartition(".")[2]])


def _add_errors(app: FastAPI) -> None:
    """Answer every error by one line."""

    def problem(status: int, detail: str, **headers: str) -> Response:
        return JSONResponse({"detail": detail}, status, headers=headers)

    @app.exception_handler(ImageError)
    async def image(_: Request, error: ImageError) -> Response:
        return problem(413 if error.reason == "too large" else 400, str(error))

    @app.exception_handler(UsageError)
    async def usage(_: Request, error: UsageError) -> Response:
        return problem(422, str(error))

    @app.exception_handler(FerError)
    async def failed(_: Request, error: FerError) -> Response:
        return problem(500, str(error))

    @app.exception_handler(NoPlaceError)
    async def full(_: Request, __: NoPlaceError) -> Response:
        return problem(
            429, "too many requests at the same time; come again", **{"retry-after": "1", "connection": "close"}
        )

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return problem(400, "the connection ended before the request did")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return problem(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")
