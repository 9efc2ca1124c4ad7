"""The words that the sandbox's shop is made of: people, places, products and the titles of its messages."""

from __future__ import annotations

from typing import NamedTuple

FIRST_NAMES = (
    "Ana", "Ben", "Chloé", "Dmitri", "Elif", "Farah", "Giulia", "Hiro", "Ingrid", "José", "Keiko", "Liam", "Mei",
    "Noor", "Olu", "Priya", "Quentin", "Rosa", "Søren", "Tariq", "Uma", "Vera", "Wren", "Ximena", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Silva", "O'Neill", "Müller", "Ivanova", "Yilmaz", "Haddad", "Rossi", "Tanaka", "Berg", "García", "Sato", "Murphy",
    "Chen", "Rahman", "Adeyemi", "Sharma", "Lefèvre", "Mendes", "Jørgensen", "Khan", "Patel", "Novak", "Reed", "Torres",
)  # fmt: skip
MAIL_DOMAINS = ("gmail.com", "yahoo.com", "outlook.com", "icloud.com", "example.com", "shop.example", "mail.example")
INBOX_PROVIDERS = {
    "gmail.com": "Gmail",
    "yahoo.com": "Yahoo",
    "outlook.com": "Microsoft",
    "icloud.com": "Apple",
}


class Place(NamedTuple):
    """A city, as the location of a profile shows it."""

    city: str
    region: str
    country: str
    zip: str
    latitude: float
    longitude: float
    timezone: str
    locale: str


PLACES = (
    Place("Boston", "Massachusetts", "United States", "02111", 42.3601, -71.0589, "America/New_York", "en-US"),
    Place("Portland", "Oregon", "United States", "97201", 45.5152, -122.6784, "America/Los_Angeles", "en-US"),
    Place("Austin", "Texas", "United States", "73301", 30.2672, -97.7431, "America/Chicago", "en-US"),
    Place("Toronto", "Ontario", "Canada", "M5H 2N2", 43.6532, -79.3832, "America/Toronto", "en-CA"),
    Place("London", "England", "United Kingdom", "EC1A 1BB", 51.5072, -0.1276, "Europe/London", "en-GB"),
    Place("København", "Hovedstaden", "Denmark", "2300", 55.6761, 12.5683, "Europe/Copenhagen", "da-DK"),
    Place("Zürich", "Zürich", "Switzerland", "8001", 47.3769, 8.5417, "Europe/Zurich", "de-CH"),
    Place("東京", "東京都", "Japan", "100-0001", 35.6762, 139.6503, "Asia/Tokyo", "ja-JP"),
    Place("São Paulo", "São Paulo", "Brazil", "01000-000", -23.5558, -46.6396, "America/Sao_Paulo", "pt-BR"),
)

TEAS = (
    "Oolong", "Sencha", "Gyokuro", "Darjeeling First Flush", "Assam", "Earl Grey", "Lapsang Souchong", "Jasmine Pearl",
    "Pu-erh 2011", "White Peony", "Genmaicha", "Rooibos", "Chai Masala", "Matcha Ceremonial", "Chamomile", "Peppermint",
    "Nilgiri", "Keemun", "Hojicha", "Yerba Maté", "Ceylon", "Silver Needle", "Dragon Well", "Tie Guan Yin",
)  # fmt: skip
WARES = ("Mug", "Gaiwan", "Kyusu Teapot", "Tea Strainer", "Bamboo Whisk", "Travel Flask", "Tin", "Gift Card")
CATEGORIES = ("Green Tea", "Black Tea", "Herbal", "Oolong & Pu-erh", "Teaware", "Gifts")

SUBJECTS = (
    "New oolongs are here",
    "Your cup is waiting ☕",
    "20% off this weekend",
    "First flush: 48 hours only",
    "How to brew sencha",
    "Last chance, {{ first_name|default:'friend' }}",
    "“The quiet hour”, our spring blend",
    "Free shipping over $40",
    "We picked three teas for you",
    "A letter from the tea garden",
)
SEASONS = ("Spring", "Summer", "Autumn", "Winter", "Harvest", "Holiday", "Weekend", "Members", "VIP", "Clearance")
THEMES = ("drop", "sale", "newsletter", "early access", "story", "restock", "gift guide", "survey", "tasting")

CLIENTS = (
    {"Client Type": "browser", "Client OS": "Mac OS X", "Client OS Family": "Mac OS X", "Client Name": "Chrome",
     "Client Canonical": "Chrome"},
    {"Client Type": "email client", "Client OS": "iOS", "Client OS Family": "iOS", "Client Name": "Apple Mail",
     "Client Canonical": "Apple Mail"},
    {"Client Type": "browser", "Client OS": "Windows", "Client OS Family": "Windows", "Client Name": "Edge",
     "Client Canonical": "Edge"},
    {"Client Type": "mobile browser", "Client OS": "Android", "Client OS Family": "Android",
     "Client Name": "Chrome Mobile", "Client Canonical": "Chrome"},
)  # fmt: skip
