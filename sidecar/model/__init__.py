"""Nouns: frozen dataclasses and enums that every floor may use. No behaviour beyond reading them."""
