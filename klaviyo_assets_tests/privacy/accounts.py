"""A small account whose values can be told apart wherever they turn up."""

from __future__ import annotations

import datetime as dt

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed

SALT = "pepperPEPPERpepper"
KEY = "pk_0123456789abcdefSECRETKEY"
PEOPLE = 4
BIG = 2**70


def person_id(number: int) -> str:
    return f"01J{number:023d}"


def email(number: int) -> str:
    return f"raw.email{number}@hash.example"


def small_account(key: str = "pk_sandbox") -> Account:
    """Profiles, events of one metric, a template; `BLOCK` begins what is to be blocked, `RAW` what is to be hashed."""
    account = Account(keys={key: None})
    now = account.clock.now()
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    account.add(
        Resource(
            "metric", "Mtric1", {"name": "RAW metric name", "created": stamp, "updated": stamp, "integration": None}
        )
    )
    account.update("account", "Xy9zAB", industry="BLOCK industry", timezone="RAW/Zone")
    contact = account.all("account")[0].attributes["contact_information"]
    account.update("account", "Xy9zAB", contact_information={**contact, "organization_name": "BLOCK organization"})
    template = {
        name: f"{'BLOCK' if name == 'html' else 'KEPT'} {name}" for name in ("html", "name", "text", "editor_type")
    }
    account.add(Resource("template", "Tmplt1", {**template, "amp": None, "created": stamp, "updated": stamp}))
    for n in range(PEOPLE):
        account.add(
            Resource(
                "profile",
                person_id(n),
                {
                    "email": email(n),
                    "phone_number": f"+1617555BLOCK{n}",
                    "first_name": f"BLOCKfirst{n}",
                    "last_name": f"KEPTlast{n}",
                    "location": {"city": f"BLOCKcity{n}", "zip": f"KEPTzip{n}", "address1": f"RAWstreet{n}"},
                    "created": stamp,
                    "updated": stamp,
                    "subscriptions": never_subscribed(),
                    "predictive_analytics": {"churn_probability": 0.125, "total_clv": 7.5, "historic_clv": 6.5},
                    "properties": {
                        "Birth Date": f"BLOCKbirth{n}",
                        "birth date": f"BLOCKother{n}",
                        "My Phone (home)": f"RAWphone{n}",
                        "Nested": {"deep": [f"RAWnested{n}"]},
                        "Loyalty": f"KEPTloyalty{n}",
                        "Nobody": None,
                        "fields": f"KEPTfields{n}",
                    },
                },
            )
        )
        properties = {
            "email": email(n),
            "Card Number": f"BLOCKcard{n}",
            "Extra": {"secret": f"BLOCKextra{n}"},
            "Order Phone": {"no": f"RAWorder{n}"},
            "$value": f"RAWvalue{n}",
            "Kept": f"KEPTevent{n}",
            "big": BIG + n,
            "": "KEPT empty name",
        }
        account.add_event(
            "Mtric1", now - dt.timedelta(hours=2, seconds=n), profile_id=person_id(n), properties=properties
        )
    return account


BLOCKED = {
    "person": ["phone_number", "first_name", "city", "custom_*birth*", "*_total_clv"],
    "event": ["property_card*", "property_extra", "uuid"],
    "email_template": ["html"],
    "account_history": ["industry", "contact_information_organization_name"],
}
HASHED = {
    "person": ["email", "address_1", "custom_*phone*", "custom_nested", "*churn*"],
    "event": ["property_email", "property_*phone*", "property_value"],
    "metric": ["name"],
    "account_history": ["timezone"],
}
HIDDEN = (b"BLOCK", b"RAW", b"raw.email", SALT.encode(), KEY.encode())
