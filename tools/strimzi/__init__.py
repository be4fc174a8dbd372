"""Strimzi's resources for a Kafka that Freshet uses: topics, and users with the rights of schemas/topics.yaml."""

from tools.strimzi.resources import Pipeline, topics, users
from tools.strimzi.rights import PRINCIPALS, Right, rights

__all__ = ["PRINCIPALS", "Pipeline", "Right", "rights", "topics", "users"]
