package blob

import (
	"io"
	"io/fs"
)

// FS is what Dir needs of a file system: the steps between which power may
// fail. Names are relative to Dir's folder, with slashes; "." is that folder.
// Errors wrap fs.ErrNotExist and fs.ErrExist where these are meant. It is safe
// for concurrent use.
type FS interface {
	// Temp makes a file that has no name yet.
	Temp() (TempFile, error)
	// Open opens a file for reading.
	Open(name string) (Reader, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Mkdir makes a folder, which lasts once the one above it was synced.
	Mkdir(name string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
	// Remove removes the name of a file.
	Remove(name string) error
	// Lock waits for the folder's lock, which at most one caller in all
	// processes holds.
	Lock() (unlock func(), err error)
	// Close releases what is open.
	Close() error
}

// TempFile is a file without a lasting name. It is used by one goroutine and
// must be closed, which drops it unless it was given a name.
type TempFile interface {
	io.WriteCloser
	// Sync makes the content durable.
	Sync() error
	// Link gives the file a name that must not exist.
	Link(name string) error
	// Replace gives the file a name in place of what had it.
	Replace(name string) error
}
