"""A faithful local Klaviyo account, served over HTTP, for demos, tests and development."""

from klaviyo_assets.sandbox.account import Account, Clock, Event, Resource
from klaviyo_assets.sandbox.control import SandboxControl
from klaviyo_assets.sandbox.server import Sandbox

__all__ = ["Account", "Clock", "Event", "Resource", "Sandbox", "SandboxControl"]
