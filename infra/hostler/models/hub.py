"""The Hugging Face hub, or the mirror that is asked instead: what a repository has. Asks the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler.models import denied
from hostler.models.http import unreachable
from hostler.models.mirror import HUB
from hostler.models.source import HubSource, RepoFile

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

TIMEOUT_S = 20.0
_ATTEMPTS = 4


class Hub:
    """`pause` waits between attempts; `mirror` is the stack file's `mirror.hub`; `api` replaces the client, for tests."""

    def __init__(
        self,
        token: str = "",
        pause: Callable[[float], None] | None = None,
        *,
        mirror: str | None = None,
        api: HfApi | None = None,
    ) -> None:
        self._token, self._pause, self._mirror, self._api = token, pause, mirror, api

    def open(self, source: HubSource, where: str) -> ModelInfo:
        """The repository at its revision. Raises StackFileError (wrong name, no access) or UnreachableError."""
        info = self._info(self._client(), source, where)
        if info.gated and not self._token:
            raise denied.gated(source, where, had_token=False)
        return info

    def address(self, source: HubSource, name: str, info: ModelInfo) -> str:
        """Of a file at that revision: the hub's, whatever mirror is asked."""
        from huggingface_hub import hf_hub_url

        endpoint = HUB if self._mirror else self._client().endpoint
        return hf_hub_url(source.repo, name, revision=info.sha, endpoint=endpoint)

    def _client(self) -> HfApi:
        # read at its import; else it asks huggingface.co about the environment, whatever the endpoint is
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        from huggingface_hub import HfApi

        # token=False: never a token that happens to lie in the user's home
        self._api = self._api or HfApi(
            endpoint=self._mirror, token=self._token or False, library_name="hostler"
        )
        return self._api

    def _info(self, api: HfApi, source: HubSource, where: str) -> ModelInfo:
        from huggingface_hub import errors

        try:
            return _again(
                lambda: api.model_info(
                    source.repo, revision=source.revision or None, files_metadata=True, timeout=TIMEOUT_S
                ),
                self._pause,
            )
        except errors.GatedRepoError as error:
            raise denied.gated(source, where, had_token=bool(self._token)) from error
        except errors.RevisionNotFoundError as error:
            raise denied.at_mirror(self._mirror, denied.no_revision(source, where)) from error
        except errors.RepositoryNotFoundError as error:
            raise denied.at_mirror(self._mirror, denied.no_repo(source, where, bool(self._token))) from error
        except _network_errors() as error:
            if self._mirror and _status(error) == 404:  # a mirror need not say what it lacks
                raise denied.at_mirror(
                    self._mirror, denied.no_repo(source, where, bool(self._token))
                ) from error
            raise unreachable(api.endpoint, error) from error


def files_of(info: ModelInfo) -> list[RepoFile]:
    """All files of a repository."""
    return [
        RepoFile(file.rfilename, int(file.size or 0), str(file.lfs.sha256) if file.lfs else "")
        for file in info.siblings or ()
    ]


def _again[T](ask: Callable[[], T], pause: Callable[[float], None] | None) -> T:
    """The hub's client does not retry by itself: 429 and 5xx are worth it."""
    import time

    import tenacity
    from huggingface_hub.errors import HfHubHTTPError

    def passing(error: BaseException) -> bool:
        return isinstance(error, HfHubHTTPError) and _status(error) in (429, 500, 502, 503, 504)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.3, max=5),
        sleep=pause or time.sleep,
        reraise=True,
    )(ask)


def _status(error: BaseException) -> int:
    response: Any = getattr(error, "response", None)
    return int(getattr(response, "status_code", 0))


def _network_errors() -> tuple[type[Exception], ...]:
    """OSError, and the base class of the HTTP library that this version of the hub's client uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)))
