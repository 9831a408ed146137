"""The personal state of the demo, the same in both back ends."""

from __future__ import annotations

from typing import Final

from ridehail_clients import PersonalStateCopy, TariffSettings

PASSENGER: Final = "4000000001"
STATE: Final = PersonalStateCopy(
    yandex_uid=PASSENGER,
    revision_id="1",
    selected_category="comfort",
    tariffs=(
        TariffSettings("comfort", {"nosmoking": True, "childchair": [3, 7]}),
        TariffSettings("econom", {"luggage_count": 2}),
    ),
)
