package s3store_test

import (
	"bufio"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup/blobstore/s3store"
)

// impatient listens as a service that has one object, or none, and resets the
// connection of every put without an answer, which a real one does only at times.
func impatient(t *testing.T, object []byte) *s3store.Store {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveImpatiently(conn.(*net.TCPConn), object)
		}
	}()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + listener.Addr().String()), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("name", "word", ""), RetryMaxAttempts: 1,
	})
	s, err := s3store.Open(t.Context(), s3store.Config{Client: client, Bucket: "bucket"})
	require.NoError(t, err)
	return s
}

func serveImpatiently(conn *net.TCPConn, object []byte) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	if request.Method == http.MethodPut {
		conn.SetLinger(0) // a reset, not an orderly end
		return
	}
	if object == nil {
		io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	io.WriteString(conn, "HTTP/1.1 200 OK\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: "+strconv.Itoa(len(object))+"\r\nConnection: close\r\n\r\n")
	if request.Method == http.MethodGet {
		conn.Write(object)
	}
}

func TestAPutWithoutAnAnswerIsWhatIsThere(t *testing.T) {
	mine := make([]byte, 1<<20)
	require.NoError(t, impatient(t, mine).Put(t.Context(), "k", mine), "it was stored, and the answer was lost")
	require.ErrorIs(t, impatient(t, []byte("another")).Put(t.Context(), "k", mine), fs.ErrExist)
	err := impatient(t, nil).Put(t.Context(), "k", mine)
	require.ErrorContains(t, err, "s3store: put k: ")
	require.NotErrorIs(t, err, fs.ErrExist)
	require.NotErrorIs(t, err, fs.ErrNotExist)
}
