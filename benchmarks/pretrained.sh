#!/usr/bin/env bash
# Make fercli's own models again, from FER2013's challenge file and FER+'s votes:
#
#   bash benchmarks/pretrained.sh fer2013.csv fer2013new.csv WORK
#
# Everything is written into WORK; a call that was interrupted goes on where it stopped, within an epoch's time. At the end
# WORK/pretrained/ has the models, their figures and cards; they ship as fercli/pretrained/. Training is deterministic on the
# same kind of processor, with the same number of threads and version of torch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
csv=$(realpath "$1") votes=$(realpath "$2")
mkdir -p "$3/ferplus-source" && cd "$3"
ln -sf "$csv" ferplus-source/fer2013.csv
cp "$votes" ferplus-source/fer2013new.csv

# 1. Data. Copies that leak between the splits are removed; the test splits keep all their images.
fer import "$csv" fer2013 && fer clean fer2013 fer2013-cleaned && fer pack fer2013-cleaned fer2013-pack
for set in "soft 8" "majority 8" "majority 7"; do
  read -r target classes <<< "$set"
  name=ferplus-$target-$classes
  fer import ferplus-source "$name" --format ferplus --votes "$target" --classes "$classes"
  fer clean "$name" "$name-cleaned" && fer pack "$name-cleaned" "$name-pack"
done
fer sample drawn-photographs --images 700
fer detect drawn-photographs drawn && fer clean drawn drawn-cleaned && fer pack drawn-cleaned drawn-pack

# 2. ferplus: FER+'s votes as soft targets, without further smoothing.
fer train ferplus-soft-8-pack ferplus-run --model small --label-smoothing 0
python "$here/pretrained.py" ferplus-run ferplus-soft-8-pack ferplus --out pretrained

# 3. fer2013: the benchmark's labels, from ferplus; the same images are test images of both.
fer train fer2013-pack fer2013-run --model small --weights ferplus-run --epochs 14 --lr 0.02 --warmup 0.1 \
  --progressive-sizes 44=1
python "$here/pretrained.py" fer2013-run fer2013-pack fer2013 --out pretrained

# 4. Figures and cards.
evaluate() { # MODEL PACK SPLIT
  fer evaluate "pretrained/$1" "$2-pack" "figures/$1-on-$2" --split "$3" --tta flip --overwrite
}
evaluate ferplus ferplus-majority-8 test
evaluate ferplus ferplus-soft-8 test
evaluate ferplus fer2013 test
evaluate ferplus drawn all
evaluate fer2013 fer2013 test
evaluate fer2013 ferplus-majority-7 test
evaluate fer2013 drawn all
python "$here/model_cards.py" figures pretrained
