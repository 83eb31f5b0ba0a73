"""Puts the API server together from its options and runs it until told to stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from apimachinery import resources
from apiserver import version
from apiserver.admission import defaults as admission_defaults
from apiserver.admission.plugin import Chain as AdmissionChain
from apiserver.authentication.authenticator import Authenticator
from apiserver.authentication.keys import load_private_key, load_public_keys
from apiserver.authentication.service_accounts import ServiceAccountAuthenticator, TokenSettings, TokenSigner
from apiserver.authentication.static_tokens import StaticTokenAuthenticator
from apiserver.authentication.x509 import X509Authenticator
from apiserver.authorization.authorizer import Chain as AuthorizerChain
from apiserver.authorization.authorizer import Masters
from apiserver.authorization.tables import Tables
from apiserver.bootstrap.kubernetes_service import Advertised, Reconciler
from apiserver.http.deferred import ASGIApp, Deferred
from apiserver.http.lane import Lane
from apiserver.http.metrics import RequestMetrics
from apiserver.options import Options
from apiserver.registry.catalog import Catalog
from apiserver.reviews import handlers as review_handlers
from apiserver.reviews.handlers import Reviews
from apiserver.storage import Etcd, Store
from apiserver.subresources.kubelet import Kubelets
from apiserver.subresources.logs import Logs
from apiserver.subresources.pods import PodActions
from apiserver.subresources.scale import ScaleHandler
from apiserver.subresources.streams import Streams
from apiserver.subresources.tokens import TokenRequests
from component_base import daemon, logs, metrics
from component_base.health import HealthChecks
from component_base.serving import Server
from component_base.tls import TLSFiles, self_signed_context

_log = logs.get_logger("apiserver")


@dataclass
class Parts:
    """The assembled server."""

    store: Store
    catalog: Catalog
    lane: Lane
    health: HealthChecks
    reconciler: Reconciler
    pod_logs: Logs


def assemble(options: Options) -> Parts:
    """Make all parts, connected but not started. Raises OSError or ValueError for files that cannot be used."""
    etcd = Etcd(
        options.etcd_servers, ca_file=options.etcd_cafile, cert_file=options.etcd_certfile,
        key_file=options.etcd_keyfile,
    )  # fmt: skip
    store = Store(etcd, options.etcd_prefix)
    admission = AdmissionChain()
    catalog = Catalog(store, options.settings, admission)
    admission.use(admission_defaults.plugins(catalog))
    signing = options.service_account_signing_key_file
    tokens = TokenSettings(
        options.service_account_issuers,
        options.api_audiences,
        tuple(load_public_keys(list(options.service_account_key_files))),
        load_private_key(signing) if signing else None,
    )
    accounts = ServiceAccountAuthenticator(tokens, catalog.lookup)
    static = [StaticTokenAuthenticator(options.token_auth_file)] if options.token_auth_file else []
    authenticator = Authenticator(X509Authenticator(), [*static, accounts], options.anonymous_auth)
    authorizer = AuthorizerChain([Masters(), Tables()])
    health = HealthChecks()
    health.add("etcd", store.check)
    address = f"{options.advertise_address}:{options.secure_port}"
    app = Deferred(lambda: _application(catalog, tokens, address))
    lane = Lane(catalog, authenticator, authorizer, app, RequestMetrics(), health)
    kubelets = Kubelets(
        catalog, options.kubelet_client_certificate, options.kubelet_client_key,
        options.kubelet_certificate_authority,
    )  # fmt: skip
    pod_logs = Logs(kubelets)
    _add_subresources(catalog, lane, kubelets, pod_logs)
    if tokens.signing_key is not None:
        requests = TokenRequests(catalog, TokenSigner(tokens), options.api_audiences)
        lane.add("", "serviceaccounts", "token", {"create"}, requests)
    _add_reviews(catalog, lane, Reviews(authorizer, accounts, options.api_audiences))
    reconciler = Reconciler(
        catalog, options.settings, Advertised(options.advertise_address, options.secure_port)
    )

    async def bootstrapped() -> None:
        if not reconciler.ready.is_set():
            raise RuntimeError("system objects are not in place yet")

    health.add("poststarthook/start-system-namespaces-controller", bootstrapped, ("readyz", "healthz"))
    return Parts(store, catalog, lane, health, reconciler, pod_logs)


def _application(catalog: Catalog, tokens: TokenSettings, address: str) -> ASGIApp:
    """All that is neither resource nor health; imported here because it is needed late (see `Deferred`)."""
    from apiserver.http import application, discovery, documents, issuer

    return application.make(
        application.discovery_router(catalog, discovery.Documents(), address),
        application.process_router(catalog),
        documents.router(catalog),
        issuer.router(tokens, f"https://{address}/openid/v1/jwks"),
    )


def _add_subresources(catalog: Catalog, lane: Lane, kubelets: Kubelets, pod_logs: Logs) -> None:
    for kind in catalog.kinds():
        if kind.strategy.scale is not None:
            handler = ScaleHandler(kind, lane.writer)
            lane.add(kind.resource.group, kind.resource.plural, "scale", {"get", "update", "patch"}, handler)
    actions = PodActions(catalog, lane.writer)
    lane.add("", "pods", "binding", {"create"}, actions.bind)
    lane.add("", "bindings", "", {"create"}, actions.bind)
    lane.add("", "pods", "eviction", {"create"}, actions.evict)
    lane.add("", "pods", "log", {"get"}, pod_logs)
    streams = Streams(kubelets)
    lane.add("", "pods", "exec", {"get", "create"}, streams.run_command)
    lane.add("", "pods", "attach", {"get", "create"}, streams.run_command)
    lane.add("", "pods", "portforward", {"get", "create"}, streams.forward_ports)


def _add_reviews(catalog: Catalog, lane: Lane, reviews: Reviews) -> None:
    catalog.virtual += review_handlers.RESOURCES
    for resource, handler in (
        (resources.TOKEN_REVIEWS, reviews.token),
        (resources.SELF_SUBJECT_REVIEWS, reviews.self_subject),
        (resources.SUBJECT_ACCESS_REVIEWS, reviews.subject_access),
        (resources.SELF_SUBJECT_ACCESS_REVIEWS, reviews.self_subject_access),
        (resources.SELF_SUBJECT_RULES_REVIEWS, reviews.self_subject_rules),
        (resources.LOCAL_SUBJECT_ACCESS_REVIEWS, reviews.local_subject_access),
    ):
        lane.add(resource.group, resource.plural, "", {"create"}, handler)


async def run(options: Options, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    metrics.build_info(version.GIT_VERSION)
    parts = assemble(options)
    await parts.store.start()
    tls = None
    if options.tls_cert_file and options.tls_private_key_file:
        tls = TLSFiles(options.tls_cert_file, options.tls_private_key_file, options.client_ca_file)
    server = Server(
        parts.lane, options.bind_address, options.secure_port,
        tls=tls or await self_signed_context(options.advertise_address),
    )  # fmt: skip
    await server.start()
    reconciling = asyncio.create_task(parts.reconciler.run(), name="control plane objects")
    daemon.settle()
    await stop.wait()
    reconciling.cancel()
    await parts.reconciler.withdraw()
    await server.stop(options.shutdown_grace)
    await parts.pod_logs.close()
    await parts.store.stop()
