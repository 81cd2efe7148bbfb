// Load puts requests on one HTTPS server with a client certificate and prints what it got as JSON.
//
// In the mode keep-alive each connection sends one request after the other; in the mode handshake each
// request comes on a connection of its own, with a full handshake. In the mode hold so many connections send
// one request each and stay open, which a line says, until standard input ends.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type report struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Error    string  `json:"error"`
}

var request = []byte("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")

func main() {
	address := flag.String("address", "", "host:port of the server")
	certificate := flag.String("certificate", "", "file of the client's certificate and key")
	authority := flag.String("authority", "", "file of the server's authority")
	handshake := flag.Bool("handshake", false, "a connection for each request")
	connections := flag.Int("connections", 32, "at once")
	group := flag.String("group", "X25519", "of the key exchange: X25519 or X25519MLKEM768")
	duration := flag.Duration("duration", 2*time.Second, "of the load")
	hold := flag.Int("hold", 0, "connections to open and hold, instead of the load")
	flag.Parse()

	config, err := clientConfig(*certificate, *authority, *group)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *hold > 0 {
		if err := holdOpen(*address, config, *connections, *hold); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	json.NewEncoder(os.Stdout).Encode(load(*address, config, *connections, *duration, *handshake))
}

var groups = map[string]tls.CurveID{"X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768}

func clientConfig(certificate, authority, group string) (*tls.Config, error) {
	id, known := groups[group]
	if !known {
		return nil, fmt.Errorf("unknown group %q", group)
	}
	pair, err := tls.LoadX509KeyPair(certificate, certificate)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{
		Certificates:     []tls.Certificate{pair},
		RootCAs:          roots,
		ServerName:       "orders",
		CurvePreferences: []tls.CurveID{id},
	}, nil
}

func load(address string, config *tls.Config, connections int, duration time.Duration, handshake bool) report {
	var mutex sync.Mutex
	var all []float64
	var total report
	var group sync.WaitGroup
	start := time.Now()
	end := start.Add(duration)
	for range connections {
		group.Go(func() {
			taken, err := client(address, config, end, handshake)
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, taken...)
			if err != nil {
				total.Errors++
				total.Error = err.Error()
			}
		})
	}
	group.Wait()
	total.Seconds = time.Since(start).Seconds()
	total.Requests = len(all)
	if len(all) > 0 {
		slices.Sort(all)
		total.P50 = all[len(all)/2]
		total.P99 = all[len(all)*99/100]
	}
	return total
}

// holdOpen opens connections, some at once, and returns when standard input ends.
func holdOpen(address string, config *tls.Config, atOnce, count int) error {
	open := make([]net.Conn, count)
	failures := make(chan error, atOnce)
	var next atomic.Int64
	for range atOnce {
		go func() {
			for {
				number := next.Add(1) - 1
				if number >= int64(count) {
					failures <- nil
					return
				}
				connection, err := tls.Dial("tcp", address, config)
				if err == nil {
					open[number] = connection
					err = exchange(connection, bufio.NewReaderSize(connection, 4096))
				}
				if err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	for range atOnce {
		if err := <-failures; err != nil {
			return err
		}
	}
	fmt.Println("held")
	_, err := io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(open)
	return err
}

// client returns how long each request took, in seconds, and the error that ended it.
func client(address string, config *tls.Config, end time.Time, handshake bool) (taken []float64, err error) {
	for time.Now().Before(end) {
		begun := time.Now()
		connection, err := tls.Dial("tcp", address, config)
		if err != nil {
			return taken, err
		}
		reader := bufio.NewReaderSize(connection, 4096)
		for {
			if err := exchange(connection, reader); err != nil {
				return taken, err
			}
			taken = append(taken, time.Since(begun).Seconds())
			if handshake || !time.Now().Before(end) {
				break
			}
			begun = time.Now()
		}
		if err := connection.Close(); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// exchange sends one request and reads the whole response, of which it wants status 200 and a length.
func exchange(connection net.Conn, reader *bufio.Reader) error {
	if _, err := connection.Write(request); err != nil {
		return err
	}
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("unexpected answer %q", line)
	}
	length := -1
	for {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("the response has no content-length")
	}
	_, err = io.CopyN(io.Discard, reader, int64(length))
	return err
}
