package traffic

// DialStream and ListenStream are what connections of SCTP are made by, for tests with TCP, which
// every kernel has.
var (
	DialStream   = dialStream
	ListenStream = listenStream
)
