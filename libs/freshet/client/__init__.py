"""Freshet from Python: publish a model from a notebook, send events, read predictions as columns.

from freshet.client import Client

with Client() as client:
    client.publish(model, pipeline="loans", sample=features)
    client.send("loans", rows)
    columns = client.predictions("loans", limit=1000)
"""

from freshet.client.client import Client
from freshet.client.client_errors import ClientError, NotAnsweredError, NotSentError, RowError
from freshet.client.one_row import Answer, Letter
from freshet.client.predictions import Predictions

__all__ = ["Answer", "Client", "ClientError", "Letter", "NotAnsweredError", "NotSentError", "Predictions", "RowError"]
