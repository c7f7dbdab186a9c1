package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

const (
	english = "en"
	chinese = "zh"
)

//go:embed words/*.json
var wordFiles embed.FS

// words are the texts of the pages, by language and key. Both languages have the
// same keys; a test looks after it.
type words map[string]map[string]string

func loadWords() (words, error) {
	w := words{}
	for _, lang := range []string{english, chinese} {
		b, err := wordFiles.ReadFile("words/" + lang + ".json")
		if err != nil {
			return nil, fmt.Errorf("web: texts: %w", err)
		}
		var m map[string]string
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, fmt.Errorf("web: words/%s.json: %w", lang, err)
		}
		w[lang] = m
	}
	return w, nil
}

// say returns the text of a key with {0}, {1} … replaced.
func (w words) say(lang, key string, args ...any) string {
	s, ok := w[lang][key]
	if !ok {
		return key
	}
	var pairs []string
	for i, a := range args {
		pairs = append(pairs, fmt.Sprintf("{%d}", i), fmt.Sprint(a))
	}
	return strings.NewReplacer(pairs...).Replace(s) // one pass: a name may be "{1}"
}

// count says a number of things, an int or int64; key.one and key.other are the
// texts.
func (w words) count(lang, key string, n any) (string, error) {
	i, ok := n.(int64)
	if !ok {
		small, isInt := n.(int)
		if !isInt {
			return "", fmt.Errorf("web: %s counts a %T", key, n)
		}
		i = int64(small)
	}
	if i == 1 {
		return w.say(lang, key+".one", number(i)), nil
	}
	return w.say(lang, key+".other", number(i)), nil
}

// chosenLang is the language of the reader: as chosen, else as the browser asks,
// else the house's.
func (a *app) chosenLang(r *http.Request) string {
	if c, err := r.Cookie(a.langCookie()); err == nil && (c.Value == english || c.Value == chinese) {
		return c.Value
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return a.Lang
	}
	for _, tag := range tags {
		switch base, _ := tag.Base(); base.String() {
		case english, chinese:
			return base.String()
		}
	}
	return a.Lang
}

// chooseLang is POST /lang.
func (a *app) chooseLang(v *visit) error {
	lang := v.form("lang")
	if lang != english && lang != chinese {
		return errNotAForm
	}
	v.setCookie(v.langCookie(), lang, 365*24*3600)
	return v.seeOther(localPath(v.form("to"), "/"))
}
