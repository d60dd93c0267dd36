// SPDX-License-Identifier: Apache-2.0

// Package check is what the Go programs share.
package check

import (
	"log"
	"os"
	"reflect"
	"runtime"
	"time"
)

// Patience is how long anything that must come is waited for.
const Patience = 90 * time.Second

// Addr is the server's.
func Addr() string {
	return os.Getenv("REDIS_HOST") + ":" + os.Getenv("REDIS_PORT")
}

func fail(text string, args ...interface{}) {
	_, file, line, _ := runtime.Caller(2)
	log.Fatalf("%s:%d: "+text, append([]interface{}{file, line}, args...)...)
}

// Same ends the program unless both are equal in type and value.
func Same(got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		fail("got %#v, not %#v", got, want)
	}
}

// Fine ends the program at an error.
func Fine(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// Refused ends the program unless there was an error of just this text.
func Refused(err error, text string) {
	if err == nil || err.Error() != text {
		fail("got %v, not the error %q", err, text)
	}
}

// Until waits for what() to give true.
func Until(what func() bool) {
	for end := time.Now().Add(Patience); !what(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("what was waited for did not come")
		}
	}
}
