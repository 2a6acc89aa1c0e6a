"""Redis commands: which ones are cache operations, where their first key is, what a read tells."""

from __future__ import annotations

from typing import NamedTuple

OTHER = "other"
PIPELINE = "pipeline"

# What works on keys. Two-word commands go under their first word.
_OPERATIONS = frozenset(
    """
    get set setex psetex setnx getset getdel getex mget mset msetnx msetex append strlen getrange
    setrange substr incr incrby incrbyfloat decr decrby lcs delex digest
    del unlink exists expire pexpire expireat pexpireat expiretime pexpiretime ttl pttl persist type
    rename renamenx copy dump restore object touch sort sort_ro scan keys move
    hget hset hsetnx hmget hmset hgetall hdel hexists hincrby hincrbyfloat hkeys hvals hlen hstrlen
    hscan hrandfield hexpire hpexpire hexpireat hpexpireat hexpiretime hpexpiretime httl hpttl
    hpersist hgetdel hgetex hsetex
    lpush rpush lpushx rpushx lpop rpop lrange llen lindex lset linsert lrem ltrim lpos lmove blmove
    rpoplpush brpoplpush blpop brpop lmpop blmpop
    sadd srem smembers sismember smismember scard spop srandmember smove sdiff sdiffstore sinter
    sinterstore sintercard sunion sunionstore sscan
    zadd zrem zscore zmscore zrange zrevrange zrangebyscore zrevrangebyscore zrangebylex
    zrevrangebylex zrangestore zrank zrevrank zcard zcount zlexcount zincrby zpopmin zpopmax
    bzpopmin bzpopmax zmpop bzmpop zremrangebyrank zremrangebyscore zremrangebylex zunion
    zunionstore zinter
    zinterstore zintercard zdiff zdiffstore zscan zrandmember
    setbit getbit bitcount bitpos bitop bitfield bitfield_ro pfadd pfcount pfmerge
    geoadd geodist geohash geopos geosearch geosearchstore georadius georadiusbymember
    xadd xlen xrange xrevrange xread xreadgroup xack xackdel xdel xdelex xtrim xgroup xinfo xpending
    xclaim xautoclaim xsetid
    eval evalsha eval_ro evalsha_ro fcall fcall_ro
    json.get json.set json.mget json.mset json.del json.forget json.merge
    """.split()  # noqa: SIM905 - sixty lines of quotes would say the same
)
# What does not: they are not measured at all.
_NOT_CACHE = frozenset(
    """
    acl asking auth bgrewriteaof bgsave client cluster command config dbsize debug discard echo exec
    failover flushall flushdb function hello hotkeys info lastsave latency lolwut memory migrate
    module monitor multi ping psubscribe psync publish pubsub punsubscribe quit randomkey readonly
    readwrite replicaof replconf reset role save script select sentinel shutdown slaveof slowlog
    spublish ssubscribe subscribe sunsubscribe swapdb sync time unsubscribe unwatch wait waitaof
    watch
    """.split()  # noqa: SIM905 - sixty lines of quotes would say the same
)
_FIRST_KEY = {
    **dict.fromkeys(("eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"), 3),
    **dict.fromkeys(("blmpop", "bzmpop", "scan"), 3),
    **dict.fromkeys(("lmpop", "zmpop", "sintercard", "zintercard", "zunion", "zinter", "zdiff"), 2),
    **dict.fromkeys(("bitop", "object"), 2),
}

# What the value of a read tells: nothing; None is a miss; each element that is None; emptiness.
SILENT, ONE, EACH, FILLED = range(4)
_READS = {
    **dict.fromkeys(("get", "getex", "getdel", "hget", "json.get"), ONE),
    **dict.fromkeys(("mget", "hmget", "hgetex", "hgetdel", "json.mget"), EACH),
    "hgetall": FILLED,
}


class Command(NamedTuple):
    """A cache operation: its label, where its first key is, what the value of a read tells."""

    operation: str
    first_key: int
    read: int


def command(name: object) -> Command | None:
    """The cache operation of a command such as "GET" or "OBJECT ENCODING"; None if it is none."""
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    words = text.lower().split(None, 1)
    word = words[0] if words else ""
    if not word or word in _NOT_CACHE:
        return None
    # With two words in the first argument, the key has moved one place to the left.
    first_key = _FIRST_KEY.get(word, 1)
    if len(words) > 1 and word == "object":
        first_key = 1
    operation = word if word in _OPERATIONS else OTHER
    return Command(operation, first_key, _READS.get(word, SILENT))
