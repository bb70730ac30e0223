package spool

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"os"
)

// tree is a bbolt file that is read page by page. The layout is internal/common's in bbolt, which has not
// changed since 2013; numbers are in the machine's byte order.
type tree struct {
	file     *os.File
	pageSize int64
	root     uint64
	seen     []bool // by page: each belongs to one place
}

const (
	pageHeader = 16 // id (8), flags (2), count (2), overflow (4)
	metaSize   = 64 // magic, version, page size, flags (4 each), root, root's sequence, freelist, pages, transaction, FNV-1a of it (8 each)
	entrySize  = 16 // leaf: flags, position, key's size, value's size (4 each); branch: position, key's size (4 each), page (8)

	branchPage = 0x01
	leafPage   = 0x02

	boltMagic   = 0xed0cdaed
	boltVersion = 2
	noFreelist  = 1<<64 - 1
)

var native = binary.NativeEndian

// openTree reads a file's two heads. Each transaction writes one of them, by turns. Where either is
// unreadable the file is damaged: the other one alone might be of the transaction before.
func openTree(f *os.File) (*tree, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	first, err := head(f, 0)
	if err != nil {
		return nil, err
	}
	t := &tree{file: f, pageSize: int64(native.Uint32(first[8:]))}
	second, err := head(f, t.pageSize)
	if err != nil {
		return nil, err
	}
	last, before := first, second
	if native.Uint64(second[48:]) > native.Uint64(first[48:]) {
		last, before = second, first
	}
	pages := native.Uint64(last[40:])
	switch {
	case t.pageSize < 1024 || t.pageSize > 1<<24 || native.Uint32(second[8:]) != uint32(t.pageSize),
		native.Uint64(last[48:]) != native.Uint64(before[48:])+1,
		native.Uint64(last[32:]) != noFreelist:
		return nil, damaged("its heads don't fit each other")
	case pages > uint64(info.Size()/t.pageSize):
		return nil, damaged("it is cut short: %d bytes of %d", info.Size(), pages*uint64(t.pageSize))
	}
	t.root, t.seen = native.Uint64(last[16:]), make([]bool, pages)
	return t, nil
}

// head reads the head on the page at the offset.
func head(f *os.File, offset int64) ([]byte, error) {
	m := make([]byte, metaSize)
	if _, err := f.ReadAt(m, offset+pageHeader); err != nil {
		return nil, damaged("its head: %w", err)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56])
	if native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion || native.Uint64(m[56:]) != sum.Sum64() {
		return nil, damaged("its head at %d is unreadable", offset)
	}
	return m, nil
}

// page reads a page with those that continue it.
func (t *tree) page(id uint64) ([]byte, error) {
	if id < 2 || id >= uint64(len(t.seen)) {
		return nil, damaged("there is no page %d", id)
	}
	p := make([]byte, t.pageSize)
	if _, err := t.file.ReadAt(p, int64(id)*t.pageSize); err != nil {
		return nil, damaged("page %d: %w", id, err)
	}
	more := uint64(native.Uint32(p[12:]))
	if native.Uint64(p) != id || more >= uint64(len(t.seen))-id {
		return nil, damaged("page %d is something else", id)
	}
	for i := id; i <= id+more; i++ {
		if t.seen[i] {
			return nil, damaged("page %d is in two places", i)
		}
		t.seen[i] = true
	}
	if more > 0 {
		p = make([]byte, int64(1+more)*t.pageSize)
		if _, err := t.file.ReadAt(p, int64(id)*t.pageSize); err != nil {
			return nil, damaged("page %d: %w", id, err)
		}
	}
	return p, nil
}

// entry is an entry of a page.
type entry struct {
	key, value []byte
	child      uint64 // of a branch: the page
	isBucket   bool   // of a leaf
}

func entries(p []byte) (list []entry, isLeaf bool, err error) {
	if len(p) < pageHeader {
		return nil, false, damaged("a page is too short")
	}
	flags, count := native.Uint16(p[8:]), int(native.Uint16(p[10:]))
	isLeaf = flags == leafPage
	if !isLeaf && (flags != branchPage || count == 0) || pageHeader+count*entrySize > len(p) {
		return nil, false, damaged("a page is neither leaf nor branch")
	}
	list = make([]entry, count)
	for i := range list {
		at := uint64(pageHeader + i*entrySize)
		e := p[at : at+entrySize]
		var position, keySize, valueSize uint64
		if isLeaf {
			position, keySize, valueSize = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
			list[i].isBucket = native.Uint32(e) == 1
			if native.Uint32(e) > 1 {
				return nil, false, damaged("an entry is of no known kind")
			}
		} else {
			position, keySize, list[i].child = uint64(native.Uint32(e)), uint64(native.Uint32(e[4:])), native.Uint64(e[8:])
		}
		key, value := at+position, at+position+keySize
		if value+valueSize > uint64(len(p)) {
			return nil, false, damaged("an entry is cut short")
		}
		list[i].key, list[i].value = p[key:value:value], p[value:value+valueSize:value+valueSize]
	}
	return list, isLeaf, nil
}

// each hands what is in the leaves below a page to visit, in order. All keys must be at least low and, unless
// it is nil, below high.
func (t *tree) each(id uint64, low, high []byte, visit func(entry) error) error {
	p, err := t.page(id)
	if err != nil {
		return err
	}
	list, isLeaf, err := entries(p)
	if err != nil {
		return err
	}
	for i, e := range list {
		order := bytes.Compare(e.key, low)
		if order < 0 || i > 0 && order == 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return damaged("page %d is out of order", id)
		}
		low = e.key
		switch {
		case isLeaf:
			err = visit(e)
		case i+1 < len(list):
			err = t.each(e.child, low, list[i+1].key, visit)
		default:
			err = t.each(e.child, low, high, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket hands what is in a bucket to visit, in order. A small one has its only page in its value.
func (t *tree) bucket(value []byte, visit func(entry) error) error {
	const bucketHeader = 16 // root (8), sequence (8)
	if len(value) < bucketHeader {
		return damaged("a bucket is missing")
	}
	only := func(e entry) error {
		if e.isBucket {
			return damaged("a bucket is where none should be")
		}
		return visit(e)
	}
	if root := native.Uint64(value); root != 0 {
		return t.each(root, nil, nil, only)
	}
	list, isLeaf, err := entries(value[bucketHeader:])
	if err == nil && !isLeaf {
		err = damaged("a bucket has a branch and no leaf")
	}
	for i := 0; err == nil && i < len(list); i++ {
		if i > 0 && bytes.Compare(list[i-1].key, list[i].key) >= 0 {
			return damaged("a bucket is out of order")
		}
		err = only(list[i])
	}
	return err
}
