"""Strimzi's resources for a Kafka that Freshet uses: topics, and users with the rights of schemas/topics.yaml."""

from freshet.runtime.rights import PRINCIPALS, Right, rights
from tools.strimzi.resources import Pipeline, topics, users

__all__ = ["PRINCIPALS", "Pipeline", "Right", "rights", "topics", "users"]
