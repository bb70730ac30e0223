package diagnosis

import "iter"

// reading is another way to read a text that was sent or set, because of a change on its way.
type reading struct {
	code, says, do string
	read           func(text string) []string // the texts in it; "": there is none
}

// one returns the reading of a text as one text.
func one(read func(text string) string) func(string) []string {
	return func(text string) []string { return []string{read(text)} }
}

// maxTexts is the largest number of texts in one text.
const maxTexts = 16

// others returns the other texts as which a text can be read, each with its cause.
func others(readings []reading, text string) iter.Seq2[string, Cause] {
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
