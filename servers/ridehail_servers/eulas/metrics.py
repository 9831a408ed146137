"""The metrics of agreements."""

from prometheus_client import Counter, Gauge

CATALOGUE_VERSION = Gauge(
    "ridehail_eulas_catalogue_version",
    "The latest change that the agreements in force contain, of the process that is furthest behind; 0: they are those"
    " of the configuration file.",
    multiprocess_mode="livemin",
)
CATALOGUE_CONFIRMED = Gauge(
    "ridehail_eulas_catalogue_confirmed_timestamp_seconds",
    "When a process last made sure that it has the agreements in force, of the process for which that is longest ago.",
    multiprocess_mode="livemin",
)
CATALOGUE_REFUSED = Gauge(
    "ridehail_eulas_catalogue_refused",
    "1 while the agreements of the database break a rule, and those before them stay in force.",
    multiprocess_mode="livemax",
)
TEXTS_MISSING = Gauge(
    "ridehail_eulas_texts_missing",
    "Titles and texts that agreements in force lack in a language that is served.",
    multiprocess_mode="livemax",
)
AGREEMENT_CHANGES = Counter("ridehail_eulas_agreement_changes", "Changes of agreements, by what was done.", ("kind",))
RIDERS_MARKED = Counter("ridehail_eulas_riders_marked", "Riders who were marked as having to decide again.")
