package zh_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/masking/internal/zh"
)

func TestSurnames(t *testing.T) {
	for name, want := range map[string]string{"王小明": "王", "欧阳修": "欧阳", "司马": "司马", "欧某": "欧", "爱新觉罗": "", "的": "", "": "", "abc": "", "\xff": ""} {
		assert.Equal(t, want, name[:zh.Surname(name)], name)
	}
}

func TestRegions(t *testing.T) {
	for s, want := range map[string]string{"广东省深圳市": "广东省", "广西壮族自治区南宁": "广西壮族自治区", "北京朝阳区": "北京", "北京东路1号": "", "abc": ""} {
		assert.Equal(t, want, s[:zh.Province(s)], s)
	}
	for s, want := range map[string]string{"深圳市南山区": "深圳市", "延边朝鲜族自治州延吉": "延边朝鲜族自治州", "中山路1号": "", "中山市石岐": "中山市", "南京大道": "", "呼和浩特新城区": "呼和浩特", "外星市": ""} {
		assert.Equal(t, want, s[:zh.City(s)], s)
	}
	assert.True(t, zh.Starts('深'))
	assert.False(t, zh.Starts('a'))
}

func TestDivisions(t *testing.T) {
	for s, want := range map[string]string{"南山区科技": "南山区", "西城区": "西城区", "义乌市": "义乌市", "阳光小区3栋": "", "超市": "", "中山路区": "", "市": "", "某某某某某某某某某某区": ""} {
		assert.Equal(t, want, s[:zh.Division(s, "区县市")], s)
	}
}
