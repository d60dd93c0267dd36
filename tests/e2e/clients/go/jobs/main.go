// SPDX-License-Identifier: Apache-2.0

// asynq: results, retries and archived tasks, schedules, unique tasks, priorities, groups, a server
// that stops and another that goes on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"clients/check"

	"github.com/hibiken/asynq"
)

type log struct {
	mutex sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) seen() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string{}, l.lines...)
}

var (
	to   = asynq.RedisClientOpt{Addr: check.Addr(), DB: 2}
	keep = asynq.Retention(time.Hour)
	done log
)

func double(_ context.Context, task *asynq.Task) error {
	var n int
	if err := json.Unmarshal(task.Payload(), &n); err != nil {
		return fmt.Errorf("%v: %w", err, asynq.SkipRetry)
	}
	_, err := task.ResultWriter().Write([]byte(fmt.Sprint(2 * n)))
	return err
}

func hard(ctx context.Context, task *asynq.Task) error {
	if tried, _ := asynq.GetRetryCount(ctx); tried < 2 {
		return errors.New("not yet")
	}
	_, err := task.ResultWriter().Write([]byte("done"))
	return err
}

func note(_ context.Context, task *asynq.Task) error {
	done.add(string(task.Payload()))
	return nil
}

func handlers() *asynq.ServeMux {
	mux := asynq.NewServeMux()
	mux.HandleFunc("double", double)
	mux.HandleFunc("hard", hard)
	mux.HandleFunc("note", note)
	mux.HandleFunc("fails", func(context.Context, *asynq.Task) error { return errors.New("as it should") })
	mux.HandleFunc("sums", func(_ context.Context, task *asynq.Task) error {
		done.add("group " + string(task.Payload()))
		return nil
	})
	return mux
}

func start(concurrency int) *asynq.Server {
	server := asynq.NewServer(to, asynq.Config{
		Concurrency: concurrency, Queues: map[string]int{"urgent": 2, "default": 1}, StrictPriority: true,
		LogLevel:                 asynq.ErrorLevel,
		DelayedTaskCheckInterval: 100 * time.Millisecond,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 100 * time.Millisecond },
		GroupGracePeriod:         time.Second, GroupMaxSize: 3,
		GroupAggregator: asynq.GroupAggregatorFunc(func(_ string, tasks []*asynq.Task) *asynq.Task {
			return asynq.NewTask("sums", []byte(fmt.Sprint(len(tasks))))
		}),
	})
	check.Fine(server.Start(handlers()))
	return server
}

func enqueue(client *asynq.Client, kind, payload string, options ...asynq.Option) string {
	info, err := client.Enqueue(asynq.NewTask(kind, []byte(payload)), options...)
	check.Fine(err)
	return info.ID
}

func task(look *asynq.Inspector, id string) *asynq.TaskInfo {
	info, err := look.GetTaskInfo("default", id)
	check.Fine(err)
	return info
}

func completed(look *asynq.Inspector, id string) string {
	check.Until(func() bool { return task(look, id).State == asynq.TaskStateCompleted })
	return string(task(look, id).Result)
}

// Before there is a server, so that all of them wait.
func waiting(client *asynq.Client, look *asynq.Inspector) {
	enqueue(client, "note", "default 1")
	enqueue(client, "note", "default 2")
	enqueue(client, "note", "urgent 1", asynq.Queue("urgent"))
	enqueue(client, "note", "urgent 2", asynq.Queue("urgent"))
	_, err := client.Enqueue(asynq.NewTask("note", []byte("default 1")), asynq.TaskID("mine"))
	check.Fine(err)
	_, err = client.Enqueue(asynq.NewTask("note", []byte("other")), asynq.TaskID("mine"))
	check.Same(errors.Is(err, asynq.ErrTaskIDConflict), true)
	check.Fine(look.DeleteTask("default", "mine"))
	info, err := look.GetQueueInfo("default")
	check.Fine(err)
	check.Same([]int{info.Size, info.Pending, info.Active}, []int{2, 2, 0})
}

func work(client *asynq.Client, look *asynq.Inspector) {
	check.Until(func() bool { return len(done.seen()) == 4 })
	check.Same(done.seen(), []string{"urgent 1", "urgent 2", "default 1", "default 2"})
	var ids []string
	for n := 0; n < 200; n++ {
		ids = append(ids, enqueue(client, "double", fmt.Sprint(n), keep))
	}
	for n, id := range ids {
		check.Same(completed(look, id), fmt.Sprint(2*n))
	}
	tried := enqueue(client, "hard", "", keep, asynq.MaxRetry(5))
	check.Same(completed(look, tried), "done")
	check.Same(task(look, tried).Retried, 2)
	bad := enqueue(client, "fails", "", asynq.MaxRetry(1))
	check.Until(func() bool { return task(look, bad).State == asynq.TaskStateArchived })
	check.Same([]interface{}{task(look, bad).LastErr, task(look, bad).Retried}, []interface{}{"as it should", 1})
	check.Fine(look.RunTask("default", bad))
	check.Until(func() bool { return task(look, bad).State == asynq.TaskStateArchived })
	check.Fine(look.DeleteTask("default", bad))
	no := enqueue(client, "double", "no number")
	check.Until(func() bool { return task(look, no).State == asynq.TaskStateArchived })
}

func later(client *asynq.Client, look *asynq.Inspector) {
	began := time.Now()
	id := enqueue(client, "double", "21", keep, asynq.ProcessIn(time.Second))
	check.Same(task(look, id).State, asynq.TaskStateScheduled)
	check.Same(completed(look, id), "42")
	check.Same(task(look, id).CompletedAt.Sub(began) > 0, true)
	far := enqueue(client, "double", "1", keep, asynq.ProcessIn(time.Hour))
	scheduled, err := look.ListScheduledTasks("default")
	check.Fine(err)
	check.Same([]interface{}{len(scheduled), scheduled[0].ID}, []interface{}{1, far})
	check.Fine(look.RunTask("default", far))
	check.Same(completed(look, far), "2")

	unique := asynq.NewTask("note", []byte("unique"))
	_, err = client.Enqueue(unique, asynq.Unique(time.Hour), asynq.ProcessIn(time.Hour), asynq.TaskID("u"))
	check.Fine(err)
	_, err = client.Enqueue(unique, asynq.Unique(time.Hour))
	check.Same(errors.Is(err, asynq.ErrDuplicateTask), true)
	check.Fine(look.RunTask("default", "u"))
	check.Until(func() bool {
		_, err := client.Enqueue(unique, asynq.Unique(time.Hour))
		return err == nil
	})

	for n := 0; n < 3; n++ {
		enqueue(client, "note", "member", asynq.Group("members"))
	}
	check.Until(func() bool {
		for _, line := range done.seen() {
			if line == "group 3" {
				return true
			}
		}
		return false
	})
}

func inspected(look *asynq.Inspector) {
	queues, err := look.Queues()
	check.Fine(err)
	check.Same(len(queues), 2)
	check.Until(func() bool {
		servers, err := look.Servers()
		check.Fine(err)
		return len(servers) == 1 && servers[0].Status == "active" && servers[0].Concurrency == 1
	})
	check.Fine(look.PauseQueue("default"))
	info, err := look.GetQueueInfo("default")
	check.Fine(err)
	check.Same([]interface{}{info.Paused, info.Failed > 0, info.Processed > 200},
		[]interface{}{true, true, true})
	check.Fine(look.UnpauseQueue("default"))
}

func main() {
	client := asynq.NewClient(to)
	look := asynq.NewInspector(to)
	waiting(client, look)
	first := start(1)
	work(client, look)
	later(client, look)
	inspected(look)
	first.Shutdown()
	id := enqueue(client, "double", "4", keep)
	check.Same(task(look, id).State, asynq.TaskStatePending)
	second := start(8)
	check.Same(completed(look, id), "8")
	second.Shutdown()
	check.Fine(look.DeleteQueue("default", true))
	check.Fine(look.Close())
	check.Fine(client.Close())
}
