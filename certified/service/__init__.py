"""Deletion requests as a service: durable from the moment they are acknowledged to the certified release."""

from certified.service.store import DeletionStore as DeletionStore
