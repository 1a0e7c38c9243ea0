"""Redis as the web sees it: asked with short time limits, and never needed for an answer."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from screening.queue import QueueName

PATIENCE_S = 1.0


def queue_depths(redis_url: str) -> dict[str, int] | None:
    """Wake-ups that wait in each queue; None where Redis does not answer within a second."""
    try:
        with Redis.from_url(
            redis_url, socket_connect_timeout=PATIENCE_S, socket_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0)
        ) as client:
            return {str(queue): int(client.llen(queue)) for queue in QueueName}
    except (RedisError, OSError):
        return None
