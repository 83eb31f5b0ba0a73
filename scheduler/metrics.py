"""The scheduler's official metrics (https://kubernetes.io/docs/reference/instrumentation/metrics/)."""

from __future__ import annotations

from component_base.metrics import counter, exponential_buckets, gauge, histogram

_LATENCY = exponential_buckets(0.001, 2, 15)

ATTEMPTS = counter(
    "scheduler_schedule_attempts_total",
    "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, "
    "while 'error' means an internal scheduler problem.",
    ["result", "profile"],
)
ATTEMPT_SECONDS = histogram(
    "scheduler_scheduling_attempt_duration_seconds",
    "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
    ["result", "profile"],
    _LATENCY,
)
ALGORITHM_SECONDS = histogram(
    "scheduler_scheduling_algorithm_duration_seconds", "Scheduling algorithm latency in seconds", (), _LATENCY
)
SLI_SECONDS = histogram(
    "scheduler_pod_scheduling_sli_duration_seconds",
    "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue.",
    ["attempts"],
    exponential_buckets(0.01, 2, 20),
)
POD_ATTEMPTS = histogram(
    "scheduler_pod_scheduling_attempts",
    "Number of attempts to successfully schedule a pod.",
    (),
    (1, 2, 4, 8, 16),
)
PENDING = gauge(
    "scheduler_pending_pods",
    "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means number "
    "of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler attempted "
    "to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never attempted to "
    "schedule because they are gated.",
    ["queue"],
)
INCOMING = counter(
    "scheduler_queue_incoming_pods_total",
    "Number of pods added to scheduling queues by event and queue type.",
    ["queue", "event"],
)
VICTIMS = histogram(
    "scheduler_preemption_victims", "Number of selected preemption victims", (), exponential_buckets(1, 2, 7)
)
PREEMPTIONS = counter(
    "scheduler_preemption_attempts_total", "Total preemption attempts in the cluster till now"
)
CACHE_SIZE = gauge(
    "scheduler_cache_size",
    "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
    ["type"],
)
