// SPDX-License-Identifier: Apache-2.0

// What a service with go-redis does: every type, pipelines, transactions, scripts, groups, blocking
// pops, subscribers, locks. The argument is the version of the protocol.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"clients/check"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

func texts(r *redis.Client) {
	check.Fine(r.Set(ctx, "binary", "\x00\xff\r\n", 0).Err())
	check.Same(r.Get(ctx, "binary").Val(), "\x00\xff\r\n")
	check.Same(r.Get(ctx, "nothing").Err(), redis.Nil)
	check.Same(r.SetNX(ctx, "once", 1, time.Hour).Val(), true)
	check.Same(r.SetNX(ctx, "once", 2, time.Hour).Val(), false)
	check.Same(r.TTL(ctx, "once").Val() > 59*time.Minute, true)
	check.Same(r.IncrBy(ctx, "count", 41).Val()+r.Incr(ctx, "other").Val(), int64(42))
	check.Same(r.IncrByFloat(ctx, "float", 1.5).Val(), 1.5)
	check.Same(r.MGet(ctx, "once", "nothing").Val(), []interface{}{"1", nil})
	check.Same(r.GetDel(ctx, "once").Val(), "1")
	check.Refused(r.Incr(ctx, "binary").Err(), "ERR value is not an integer or out of range")
	check.Refused(r.LPush(ctx, "binary", 1).Err(),
		"WRONGTYPE Operation against a key holding the wrong kind of value")
}

type reading struct {
	Sensor string  `redis:"sensor"`
	Value  float64 `redis:"value"`
	Count  int     `redis:"count"`
}

func collections(r *redis.Client) {
	in := reading{"oil", 81.5, 3}
	check.Fine(r.HSet(ctx, "hash", in).Err())
	var out reading
	check.Fine(r.HGetAll(ctx, "hash").Scan(&out))
	check.Same(out, in)
	check.Same(r.HIncrBy(ctx, "hash", "count", 4).Val(), int64(7))
	check.Same(r.SAdd(ctx, "set", "a", "b", "b").Val(), int64(2))
	check.Same(r.SIsMember(ctx, "set", "a").Val(), true)
	check.Same(r.SMembersMap(ctx, "set").Val(), map[string]struct{}{"a": {}, "b": {}})
	check.Same(r.ZAdd(ctx, "zset", redis.Z{Score: 2, Member: "two"}, redis.Z{Score: 1.5, Member: "one"}).Val(),
		int64(2))
	check.Same(r.ZRangeWithScores(ctx, "zset", 0, -1).Val(),
		[]redis.Z{{Score: 1.5, Member: "one"}, {Score: 2, Member: "two"}})
	check.Same(r.ZRankWithScore(ctx, "zset", "nobody").Err() != nil, true)
	check.Same(r.ZPopMin(ctx, "zset").Val(), []redis.Z{{Score: 1.5, Member: "one"}})
	for n := 0; n < 1000; n++ {
		check.Fine(r.Set(ctx, fmt.Sprintf("scan:%d", n), n, 0).Err())
	}
	seen := map[string]bool{}
	walk := r.Scan(ctx, 0, "scan:*", 100).Iterator()
	for walk.Next(ctx) {
		seen[walk.Val()] = true
	}
	check.Fine(walk.Err())
	check.Same(len(seen), 1000)
}

func lists(r *redis.Client) {
	check.Same(r.RPush(ctx, "list", "a", "b", "c").Val(), int64(3))
	check.Same(r.LRange(ctx, "list", 0, -1).Val(), []string{"a", "b", "c"})
	check.Same(r.LPos(ctx, "list", "c", redis.LPosArgs{}).Val(), int64(2))
	check.Same(r.LMove(ctx, "list", "done", "LEFT", "RIGHT").Val(), "a")
	key, popped, err := r.LMPop(ctx, "right", 5, "none", "list").Result()
	check.Fine(err)
	check.Same(key, "list")
	check.Same(popped, []string{"c", "b"})
	check.Same(r.BLPop(ctx, time.Second, "list").Err(), redis.Nil)
	came := make(chan []string)
	go func() {
		came <- r.BLPop(ctx, 0, "wait:1", "wait:2").Val()
	}()
	check.Until(func() bool { return strings.Contains(r.Info(ctx, "clients").Val(), "blocked_clients:1\r") })
	check.Fine(r.LPush(ctx, "wait:2", "at last").Err())
	check.Same(<-came, []string{"wait:2", "at last"})
	// One that gives up takes nothing along.
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	var gaveUp net.Error
	check.Same(errors.As(r.BLPop(short, 0, "left").Err(), &gaveUp) && gaveUp.Timeout(), true)
	cancel()
	check.Until(func() bool { return strings.Contains(r.Info(ctx, "clients").Val(), "blocked_clients:0\r") })
	check.Fine(r.RPush(ctx, "left", "still here").Err())
	check.Same(r.LLen(ctx, "left").Val(), int64(1))
}

func streams(r *redis.Client) {
	check.Fine(r.XGroupCreateMkStream(ctx, "stream", "group", "$").Err())
	check.Refused(r.XGroupCreate(ctx, "stream", "group", "$").Err(),
		"BUSYGROUP Consumer Group name already exists")
	var ids []string
	for n := 0; n < 5; n++ {
		id, err := r.XAdd(ctx, &redis.XAddArgs{Stream: "stream", MaxLen: 100, Approx: true,
			Values: map[string]interface{}{"n": n}}).Result()
		check.Fine(err)
		ids = append(ids, id)
	}
	read := func(consumer, from string, count int64) []redis.XMessage {
		got, err := r.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: consumer,
			Streams: []string{"stream", from}, Count: count, Block: time.Second}).Result()
		check.Fine(err)
		return got[0].Messages
	}
	mine := read("one", ">", 3)
	check.Same(mine[2], redis.XMessage{ID: ids[2], Values: map[string]interface{}{"n": "2"}})
	check.Same(len(read("two", ">", 10)), 2)
	check.Same(r.XAck(ctx, "stream", "group", ids[0], ids[1]).Val(), int64(2))
	pending := r.XPending(ctx, "stream", "group").Val()
	check.Same(*pending, redis.XPending{Count: 3, Lower: ids[2], Higher: ids[4],
		Consumers: map[string]int64{"one": 1, "two": 2}})
	claimed, next, err := r.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: "stream", Group: "group",
		Consumer: "three", Start: "0", Count: 10}).Result()
	check.Fine(err)
	check.Same(next, "0-0")
	check.Same(len(claimed), 3)
	more := r.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: "stream", Group: "group", Start: "-",
		End: "+", Count: 10, Consumer: "three"}).Val()
	check.Same([]interface{}{len(more), more[0].ID, more[0].RetryCount}, []interface{}{3, ids[2], int64(2)})
	info := r.XInfoStreamFull(ctx, "stream", 10).Val()
	check.Same([]interface{}{info.Length, info.Groups[0].Name, info.Groups[0].PelCount},
		[]interface{}{int64(5), "group", int64(3)})
	groups := r.XInfoGroups(ctx, "stream").Val()
	check.Same([]interface{}{groups[0].Name, groups[0].Consumers, groups[0].Lag},
		[]interface{}{"group", int64(3), int64(0)})
	check.Same(r.XRevRangeN(ctx, "stream", "+", "-", 1).Val()[0].ID, ids[4])
	check.Same(r.XTrimMaxLen(ctx, "stream", 1).Val(), int64(4))
	check.Same(r.XRead(ctx, &redis.XReadArgs{Streams: []string{"stream", "$"}, Block: 20 * time.Millisecond}).Err(),
		redis.Nil)
}

func together(r *redis.Client) {
	replies, err := r.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for n := 0; n < 1000; n++ {
			pipe.RPush(ctx, "piped", n)
		}
		return nil
	})
	check.Fine(err)
	check.Same(replies[999].(*redis.IntCmd).Val(), int64(1000))
	replies, err = r.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "tx", "1", 0)
		pipe.LPush(ctx, "tx", "1")
		pipe.Incr(ctx, "tx")
		return nil
	})
	check.Same(err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true)
	check.Same(replies[2].(*redis.IntCmd).Val(), int64(2))
	// Ten add to a number that they read first; those that were overtaken try again.
	var all sync.WaitGroup
	for n := 0; n < 10; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			add := func(tx *redis.Tx) error {
				had, err := tx.Get(ctx, "watched").Int()
				if err != nil && err != redis.Nil {
					return err
				}
				_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
					pipe.Set(ctx, "watched", had+1, 0)
					return nil
				})
				return err
			}
			err := r.Watch(ctx, add, "watched")
			for err == redis.TxFailedErr {
				err = r.Watch(ctx, add, "watched")
			}
			check.Fine(err)
		}()
	}
	all.Wait()
	check.Same(r.Get(ctx, "watched").Val(), "10")
}

func scripts(r *redis.Client) {
	take := redis.NewScript(`
		local had = tonumber(redis.call('GET', KEYS[1]) or '0')
		if had + tonumber(ARGV[1]) > 10 then return redis.error_reply('FULL no more') end
		return {redis.call('INCRBY', KEYS[1], ARGV[1]), 'taken', false}`)
	check.Same(take.Run(ctx, r, []string{"taken"}, 7).Val(), []interface{}{int64(7), "taken", nil})
	check.Refused(take.Run(ctx, r, []string{"taken"}, 7).Err(), "FULL no more")
	check.Same(take.Exists(ctx, r).Val(), []bool{true})
	check.Fine(r.ScriptFlush(ctx).Err())
	check.Same(take.Run(ctx, r, []string{"taken"}, 1).Val().([]interface{})[0], int64(8))
}

func channels(r *redis.Client) {
	sub := r.Subscribe(ctx, "news")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	check.Fine(err)
	check.Fine(sub.PSubscribe(ctx, "other.*"))
	_, err = sub.Receive(ctx)
	check.Fine(err)
	check.Fine(sub.Ping(ctx, "there"))
	check.Same(r.PubSubNumSub(ctx, "news").Val(), map[string]int64{"news": 1})
	come := sub.Channel()
	check.Same(r.Publish(ctx, "news", "\x00first").Val(), int64(1))
	check.Same(r.Publish(ctx, "other.one", "second").Val(), int64(1))
	first, second := <-come, <-come
	check.Same([]string{first.Channel, first.Payload, first.Pattern}, []string{"news", "\x00first", ""})
	check.Same([]string{second.Channel, second.Payload, second.Pattern},
		[]string{"other.one", "second", "other.*"})
}

// A lock as people write it: SET NX with a token, which a script releases.
func locks(r *redis.Client) {
	release := redis.NewScript(
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end`)
	var all sync.WaitGroup
	var inside, sum int
	var mutex sync.Mutex
	for n := 0; n < 8; n++ {
		all.Add(1)
		go func(token string) {
			defer all.Done()
			for k := 0; k < 10; k++ {
				check.Until(func() bool { return r.SetNX(ctx, "lock", token, time.Minute).Val() })
				mutex.Lock()
				inside++
				check.Same(inside, 1)
				sum++
				inside--
				mutex.Unlock()
				check.Same(release.Run(ctx, r, []string{"lock"}, token).Val(), int64(1))
				check.Same(release.Run(ctx, r, []string{"lock"}, "another").Val(), int64(0))
			}
		}(strconv.Itoa(n))
	}
	all.Wait()
	check.Same(sum, 80)
}

func server(r *redis.Client) {
	names := r.CommandList(ctx, &redis.FilterBy{Pattern: "xre*"}).Val()
	sort.Strings(names)
	check.Same(names, []string{"xread", "xreadgroup", "xrevrange"})
	check.Same(r.Command(ctx).Val()["lmove"].Arity, int8(5))
	check.Same(r.ConfigGet(ctx, "maxmemory-policy").Val(), map[string]string{"maxmemory-policy": "noeviction"})
	name := r.ClientGetName(ctx).Val()
	check.Same(name, "service")
	check.Same(r.ObjectEncoding(ctx, "taken").Val(), "int")
	dumped := r.Dump(ctx, "taken").Val()
	check.Fine(r.Restore(ctx, "restored", 0, dumped).Err())
	check.Same(r.Get(ctx, "restored").Val(), r.Get(ctx, "taken").Val())
	check.Same(r.Do(ctx, "no-such-command").Err() != nil, true)
}

func main() {
	protocol, err := strconv.Atoi(os.Args[1])
	check.Fine(err)
	r := redis.NewClient(&redis.Options{Addr: check.Addr(), Protocol: protocol, ClientName: "service",
		DB: 3, ReadTimeout: check.Patience, ContextTimeoutEnabled: true})
	check.Same(r.Ping(ctx).Val(), "PONG")
	for _, part := range []func(*redis.Client){texts, collections, lists, streams, together, scripts,
		channels, locks, server} {
		part(r)
	}
	check.Fine(r.FlushDB(ctx).Err())
	check.Same(r.DBSize(ctx).Val(), int64(0))
	check.Fine(r.Close())
	unix := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Getenv("REDIS_SOCKET"), Protocol: protocol})
	check.Same(unix.Echo(ctx, "é").Val(), "é")
	check.Fine(unix.Close())
}
