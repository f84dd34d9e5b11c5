# The front door; Meson does the building. `make` builds and stages an installed tree in build/stage.
BUILD ?= build
PREFIX ?= /usr/local
MESON ?= meson

.PHONY: all
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@DESTDIR=$(abspath $(BUILD))/stage $(MESON) install -C $(BUILD) --no-rebuild --quiet

$(BUILD)/build.ninja:
	$(MESON) setup $(BUILD) --prefix=/usr
