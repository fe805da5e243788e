#!/usr/bin/env bash
# The whole way on drawn faces: photographs, faces, an even data set, two models, an ensemble, and what they look at.
# Run it anywhere fer is installed: bash demo.sh [FOLDER]. Called again, it goes on where it was.
set -euo pipefail
mkdir -p "${1:-demo}"
cd "${1:-demo}"

fer sample photographs                                   # photographs with drawn faces, and the truth about them
fer detect photographs faces                             # find the faces, cut them out at 48 px
fer clean faces cleaned                                  # take out what stands in two splits
fer balance cleaned balanced --policy 300                # every emotion of train to 300, by augmentation
fer pack balanced pack                                   # one file that trains fast

for seed in 0 1; do
  fer train pack run-$seed --model quick --epochs 10 --seed $seed
  fer evaluate run-$seed pack evaluation-$seed --tta flip
done
fer ensemble run-0 run-1 --pack pack --tta flip --out ensemble
fer explain run-0 photographs --split test --limit 21 --out explanation

echo
fer show .
echo
echo "The ensemble's report: $PWD/ensemble/report.html"
echo "What the model looks at: $PWD/explanation/contact-sheet.png"
