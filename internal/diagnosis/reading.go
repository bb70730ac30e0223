package diagnosis

import "iter"

// reading is another way to read a text, which may have been changed after it was sent or set.
type reading struct {
	code, says, do string
	read           func(text string) []string // "": none
}

// one is for a reading that gives one text.
func one(read func(text string) string) func(string) []string {
	return func(text string) []string { return []string{read(text)} }
}

// maxTexts bounds what a reading may give; with more it is ignored.
const maxTexts = 16

// otherTexts yields what a text can be read as, each with its cause.
func otherTexts(readings []reading, text string) iter.Seq2[string, Cause] {
	return func(yield func(string, Cause) bool) {
		for _, r := range readings {
			texts := r.read(text)
			if len(texts) > maxTexts {
				continue
			}
			for _, other := range texts {
				if other != "" && other != text && !yield(other, proven(r.code, r.says, r.do)) {
					return
				}
			}
		}
	}
}
